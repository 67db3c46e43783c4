"""Sphinx's settings for the site. Nothing here asks the network, when built or when read."""

from helpers.display.theme import DARK, LIGHT


def colours(named: dict[str, str]) -> dict[str, str]:
    """Return Furo's variables in the explorer's colours."""
    return {
        "color-brand-primary": named["accent"],
        "color-brand-content": named["accent"],
        "color-brand-visited": named["accent"],
        "color-foreground-primary": named["ink"],
        "color-foreground-secondary": named["soft"],
        "color-foreground-muted": named["soft"],
        "color-link-underline": named["accent"],
        "color-link-underline--visited": named["accent"],
        "site-rule": named["rule"],
        "site-wash": named["wash"],
        "site-soft": named["soft"],
        "site-accent": named["accent"],
    }


project = html_title = "Freeze, Tune, or Adapt?"
language = "en"
extensions = ["myst_nb", "tools.site.site_glossary", "tools.site.site_pages"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
templates_path = ["templates"]

nb_execution_mode = "off"  # what is shown is what is committed
nb_render_markdown_format = "myst"  # outputs have tables, too
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

html_theme = "furo"
html_theme_options = {
    "light_css_variables": colours(LIGHT),
    "dark_css_variables": colours(DARK),
    "top_of_page_buttons": [],
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
highlight_language = "none"  # where a block does not name one: commands, mostly
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files
