"use strict";
// The keyboard: the same keys wherever the focus is, except where text is typed or a control needs them itself.

class Keys {
  constructor(page) {
    this.page = page;
    document.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    const { page } = this, { target } = event;
    if (!page.player || !page.song) return;
    const typing = /^(INPUT|TEXTAREA)$/.test(target.tagName) && !/^(range|radio|checkbox|button|file)$/.test(target.type);
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !typing) {
      const letter = event.key.toLowerCase();
      if (page.editing && (letter === "z" || letter === "y")) {
        event.preventDefault();
        if (letter === "y" || event.shiftKey) page.editing.redo();
        else page.editing.undo();
      }
      return;
    }
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (typing && (event.key !== " " || target.type === "text")) return;
    // Arrows belong to sliders, lists and choices that have the focus; so do letters to lists.
    const own = /^(INPUT|SELECT)$/.test(target.tagName);
    if (own && /^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (target.tagName === "SELECT" && event.key.length === 1 && event.key !== " ") return;
    const action = this.action(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  action({ key: pressed, shiftKey }) {
    const { page } = this, { player, hands, doubts, beats } = page, step = shiftKey ? 1 : 5, note = hands?.note;
    const common = {
      " ": () => player.toggle(),
      ArrowLeft: () => player.seek(player.position - step),
      ArrowRight: () => player.seek(player.position + step),
      PageUp: () => player.seek(player.position - 30),
      PageDown: () => player.seek(player.position + 30),
      Home: () => player.seek(0),
      End: () => player.seek(player.duration),
      "+": () => page.zoom(1 / 1.5),
      "=": () => page.zoom(1 / 1.5),
      "-": () => page.zoom(1.5),
      "−": () => page.zoom(1.5),
      "[": () => page.loopFrom(),
      "]": () => page.loopTo(),
      l: () => page.toggleLoop(),
      m: () => find("metronome").click(),
      s: () => page.switchSound(),
    };
    if (common[pressed]) return common[pressed];
    if (!hands) return null;
    const any = {
      n: () => hands.add(player.position, note?.pitch ?? 60),
      j: () => hands.step(1),
      k: () => hands.step(-1),
      d: () => doubts.show(doubts.at + (note || doubts.at < 0 ? 1 : 0)),
      t: () => beats.tap(false),
      T: () => beats.tap(true),
      a: () => (doubts.current && doubts.settle(true)) || (note && hands.accept()),
      x: () => (doubts.current && doubts.settle(false)) || (note && hands.remove()),
    };
    if (any[pressed]) return any[pressed];
    if (!note) return null;
    return {
      Delete: () => hands.remove(),
      Backspace: () => hands.remove(),
      Escape: () => hands.choose(null),
      ArrowUp: () => hands.raise(shiftKey ? 12 : 1),
      ArrowDown: () => hands.raise(shiftKey ? -12 : -1),
      ",": () => hands.nudge(-0.01),
      ".": () => hands.nudge(0.01),
      "<": () => hands.lengthen(-0.05),
      ">": () => hands.lengthen(0.05),
      h: () => hands.otherHand(),
    }[pressed];
  }
}
