// Start the deck, in one line of slides: the arrow keys go through all of them in order.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  // The size of the text, and how high a picture must be able to stand below it.
  const steps = [
    [1.3, 540], [1.2, 530], [1.1, 520], [1, 510], [0.92, 500], [0.85, 460],
    [0.78, 420], [0.71, 380], [0.64, 340], [0.57, 300], [0.5, 260],
  ];
  // The size of tables, code and print beside the text's, and their least size in pixels.
  const besides = [1.45, 1.3, 1.2, 1.1, 1, 0.92, 0.85, 0.78, 0.71];
  const [base, least, height] = [18.6, 18, 720];

  const inside = (slide) =>
    slide.scrollHeight <= height &&
    slide.scrollWidth <= slide.clientWidth &&
    [...slide.querySelectorAll(".code pre, pre.lines, table")].every(
      (box) => box.scrollWidth <= box.clientWidth + 1 && box.offsetWidth <= slide.clientWidth
    );

  // Try sizes from large to small until all stands inside the slide; the cells of a table that is
  // too wide for that are broken.
  function size(slide) {
    for (const cells of ["nowrap", "normal"]) {
      slide.style.setProperty("--cells", cells);
      for (const [text, picture] of steps) {
        if (cells === "nowrap" && text < 1 && slide.querySelector("table")) break;
        slide.style.setProperty("--fit", text);
        slide.style.setProperty("--picture", `${picture}px`);
        for (const beside of besides) {
          if (beside < 1 && text > 0.78 && base * text * beside < least) break;
          slide.style.setProperty("--beside", beside);
          if (inside(slide)) return picture;
        }
      }
    }
    return steps.at(-1)[1];
  }

  // Size a slide so that it fills its page and stays inside; a picture takes the room that is left.
  function fit(slide) {
    if (!slide || slide.dataset.fitted) return;
    const picture = size(slide);
    slide.style.setProperty("--picture", `${picture + Math.max(0, height - slide.scrollHeight)}px`);
    slide.dataset.fitted = "yes";
  }

  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0.06,
    center: false,
    hash: true,
    controlsTutorial: false,
    navigationMode: "linear",
    slideNumber: "c/t",
    transition: still ? "none" : "slide",
    pdfMaxPagesPerSlide: 1,
    pdfSeparateFragments: false,
    plugins: [RevealNotes],
  });
  Reveal.on("ready", (event) => fit(event.currentSlide));
  Reveal.on("pdf-ready", () => Reveal.getSlides().forEach(fit));
  Reveal.on("slidechanged", (event) => fit(event.currentSlide));
})();
