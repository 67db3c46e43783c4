/* What a style sheet can't do: say which page this is, which boxes scroll and which print a table, and close a
   drawer with Escape. */
(() => {
  document.querySelector(".sidebar-tree .current-page > a")?.setAttribute("aria-current", "page");
  for (const printed of document.querySelectorAll(".cell_output pre"))
    printed.classList.toggle("columns", (printed.textContent.match(/^.*\S {3,}\S.*$/gm) ?? []).length > 1);
  const boxes = document.querySelectorAll(
    "article pre, .table-frame, .table-wrapper, div.math, article :is(p, .output):has(> img)");
  const mark = () => boxes.forEach(box => {
    const scrolls = box.scrollWidth > box.clientWidth;
    if (scrolls) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  });
  mark();
  addEventListener("resize", mark);
  addEventListener("load", mark);
  document.fonts?.ready.then(mark);
  addEventListener("keydown", event => {
    if (event.key !== "Escape") return;
    for (const id of ["__navigation", "__toc"]) {
      const toggle = document.getElementById(id);
      if (toggle?.checked) { toggle.checked = false; toggle.focus(); }
    }
  });
})();
