/* What a style sheet can't do: say which page this is and which boxes scroll, and close a drawer with Escape. */
(() => {
  document.querySelector(".sidebar-tree .current-page > a")?.setAttribute("aria-current", "page");
  const boxes = document.querySelectorAll("article pre, .table-frame, .table-wrapper, div.math");
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
