// Start the deck, in one line of slides: the arrow keys go through all of them in order.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const steps = [1.3, 1.2, 1.1, 1, 0.92, 0.85, 0.78, 0.71, 0.64, 0.57, 0.5];

  // Size a slide so that it fills its page and stays inside.
  function fit(slide) {
    if (!slide || slide.dataset.fitted) return;
    for (const step of steps) {
      slide.style.setProperty("--fit", step);
      const tall = slide.scrollHeight > Reveal.getConfig().height;
      if (!tall && slide.scrollWidth <= slide.clientWidth) break;
    }
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
