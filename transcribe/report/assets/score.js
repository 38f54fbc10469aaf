"use strict";
// The engraved score: pages as pictures, over them marks for the notes that sound and the bar that is played. Pages are
// fetched when they come near.

class Score {
  // places(): pages, notes and measures with boxes in shares of a page; page(n): the address of a picture.
  constructor(element, song, palette, seek) {
    Object.assign(this, { element, palette, seek, song, position: 0, size: 1, pages: [], lit: [] });
    this.bar = make("div", { className: "played" });
    this.watcher = new IntersectionObserver((entries) => this.show(entries), { root: element, rootMargin: "600px" });
    element.addEventListener("click", (event) => this.click(event));
    for (const kind of ["scrollend", "wheel", "pointerdown"]) element.addEventListener(kind, () => { this.aim = null; }, { passive: true });
  }

  async open(song, source) {
    this.song = song;
    this.source = source;
    const turn = (this.turn = (this.turn || 0) + 1);
    let places = null, fault = say("no_score");
    this.element.dataset.state = "busy";
    if (!this.pages.length) this.element.replaceChildren(make("p", { className: "hint" }, say("engraving")));
    try { places = source ? await source.places() : null; } catch (error) { fault = error.message || fault; }
    if (turn !== this.turn) return; // a newer one has come
    this.measures = places?.measures || [];
    this.notes = new Map();
    for (const box of places?.notes || []) this.notes.set(box.id, [...(this.notes.get(box.id) || []), box]);
    this.watcher.disconnect();
    const pages = places?.pages ?? Math.max(0, ...this.measures.map((measure) => measure.page));
    const before = this.element.scrollTop;
    this.pages = Array.from({ length: pages }, (_, i) => make("div", { className: "page" },
      make("img", { alt: say("score_page", { page: i + 1, pages }), draggable: false })));
    const nothing = make("p", { className: "hint" }, fault);
    this.element.dataset.state = pages ? "there" : "none";
    this.element.replaceChildren(...(pages ? this.pages : [nothing]));
    this.element.scrollTop = before;
    for (const page of this.pages) this.watcher.observe(page);
    this.element.dataset.pages = pages;
    this.current = null;
    this.lit = [];
    this.follow(this.position, false);
  }

  // A new one will come: what is there is the old one.
  wait(song) {
    this.song = song;
    this.element.dataset.state = "busy";
    this.notes?.clear(); // its notes have other numbers now
  }

  show(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || target.dataset.asked) continue;
      target.dataset.asked = "yes";
      const { source } = this;
      source.page(this.pages.indexOf(target) + 1).then((address) => { target.firstChild.src = address; }, () => {});
    }
  }

  zoom(factor) {
    this.size = clamp(this.size / factor, 0.4, 4);
    this.element.style.setProperty("--size", `${Math.round(100 * this.size)}%`);
  }

  place(mark, box) {
    for (const [name, value] of [["left", box.x], ["top", box.y], ["width", box.w], ["height", box.h]]) mark.style[name] = `${100 * value}%`;
    this.pages[box.page - 1]?.append(mark);
  }

  follow(seconds, running) {
    this.position = seconds;
    if (!this.pages.length || this.element.hidden || !this.element.offsetParent) return;
    const measure = this.measures[clamp(upTo(this.measures, seconds + 1e-3, (m) => m.onset) - 1, 0, this.measures.length - 1)];
    if (measure && measure !== this.current) {
      this.current = measure;
      this.place(this.bar, measure);
      this.reveal(measure, running);
    }
    const sounding = this.song.sounding(seconds).filter((note) => !this.palette.silent(note));
    const now = sounding.map((note) => note.id).join();
    if (now === this.now) return;
    this.now = now;
    let used = 0;
    for (const note of sounding)
      for (const box of (this.notes.get(note.id) || []).slice(0, 1)) {
        this.lit[used] ??= make("div", { className: "sounding" });
        this.lit[used].style.backgroundColor = this.palette.of(note);
        this.place(this.lit[used++], box);
      }
    for (const mark of this.lit.splice(used)) mark.remove();
  }

  // The bar comes into view with the whole of its system.
  reveal(measure, running) {
    const page = this.pages[measure.page - 1], { element } = this;
    const top = page.offsetTop + measure.y * page.offsetHeight, bottom = top + measure.h * page.offsetHeight;
    const left = page.offsetLeft + measure.x * page.offsetWidth, right = left + measure.w * page.offsetWidth;
    // Smoothly while it plays; a jump is a jump. Where a smooth one is on its way to counts as where it is.
    const behavior = running && !stillness.matches ? "smooth" : "auto", now = this.aim ?? element.scrollTop;
    if (top - 20 < now || bottom + 20 > now + element.clientHeight) {
      // What stands above the staves is seen too.
      const to = clamp(top - Math.min(0.075 * page.offsetHeight, element.clientHeight / 3), 0, element.scrollHeight - element.clientHeight);
      this.aim = behavior === "smooth" && Math.abs(to - element.scrollTop) > 1 ? to : null;
      element.scrollTo({ top: to, behavior });
    }
    if (left < element.scrollLeft || right > element.scrollLeft + element.clientWidth)
      element.scrollTo({ left: left - 20, behavior });
  }

  // A click on a note chooses it, elsewhere it goes to the bar.
  click(event) {
    const page = event.target.closest(".page");
    if (!page) return;
    const box = page.getBoundingClientRect(), number = this.pages.indexOf(page) + 1;
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const near = (place, more) => place.page === number && x >= place.x - more && x <= place.x + place.w + more
      && y >= place.y - more && y <= place.y + place.h + more;
    for (const [id, boxes] of this.notes)
      if (boxes.some((place) => near(place, 0.002))) {
        const note = this.song.byId(id);
        if (note) { this.seek(note.onset); this.choose?.(note); }
        return;
      }
    const measure = this.measures.find((place) => near(place, 0.01));
    if (measure) this.seek(measure.onset + clamp((x - measure.x) / measure.w, 0, 1) * (measure.offset - measure.onset) * 0.98);
  }
}
