"use strict";
// How the page begins: as a file that holds everything, as the server's, or as a comparison with the truth.

const bytesOf = (base64) => Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));

// Text that was deflated to be put into the page.
async function inflated(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

function fileSource() {
  const sound = find("sound-recording"), score = find("score-data") && read("score-data"), samples = find("samples") && read("samples");
  const pages = new Map();
  return {
    recording: sound ? URL.createObjectURL(new Blob([bytesOf(sound.textContent)], { type: "audio/mpeg" })) : null,
    mute: !samples,
    load: async (name) => bytesOf(samples[name]).buffer,
    score: score && {
      places: async () => score.places,
      async page(n) {
        if (!pages.has(n)) pages.set(n, URL.createObjectURL(new Blob([await inflated(score.svg[n - 1])], { type: "image/svg+xml" })));
        return pages.get(n);
      },
    },
  };
}

function serverSource(id, view) {
  let shown = view.version;
  return {
    recording: view.has_sound === false ? null : `/api/files/${id}/sound`,
    load: async (name) => (await api.ask(`/assets/piano/${name}`)).arrayBuffer(),
    view: () => api.json(`/api/files/${id}`),
    save: async (edits, undone, version) => {
      const made = await api.post(`/api/files/${id}/edits`, { edits, undone, version });
      shown = made.version;
      return made;
    },
    score: {
      places: () => api.json(`/api/files/${id}/score.json`),
      page: async (n) => `/api/files/${id}/score.svg?page=${n}&v=${shown}`,
    },
  };
}

// Pieces of a data set: each roll is made when it is first opened.
function comparisons(palette) {
  for (const details of document.querySelectorAll("details.piece")) {
    details.addEventListener("toggle", () => {
      const element = details.querySelector(".roll");
      if (!details.open || element.firstChild) return;
      const seek = (seconds) => {
        roll.follow(clamp(seconds, 0, roll.song.duration), false);
        element.setAttribute("aria-valuenow", Math.floor(roll.position));
        element.setAttribute("aria-valuetext", clock(roll.position));
      };
      const roll = new Roll(element, songOfRows(read(element.dataset.source)), palette, seek);
      element.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -5, ArrowRight: 5, PageUp: -30, PageDown: 30 }[event.key];
        if (move) seek(roll.position + move);
        else if ("+=".includes(event.key)) roll.zoom(1 / 1.5);
        else if (event.key === "-") roll.zoom(1.5);
        else return;
        event.preventDefault();
      });
    });
  }
}

function themes(restyle) {
  find("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* no storage: only now */ }
    restyle();
  });
}

// Sheets that open above the page: Escape and a click elsewhere close them.
function menus() {
  const all = [...document.querySelectorAll(".menu")];
  document.addEventListener("click", (event) => {
    for (const menu of all) if (!menu.contains(event.target)) menu.open = false;
  });
  for (const menu of all)
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      menu.querySelector("summary").focus();
    });
}

function served(page) {
  const files = new Files(warn);
  const live = new Live(warn, (id) => {
    files.opening = id; // as soon as it was heard again
    tell(say("live_kept"));
    if (location.hash === "#live") location.hash = "";
    else files.refresh();
  });
  page.live = live;
  const at = (place) => {
    for (const id of ["files", "live", "song"]) find(id).hidden = id !== place;
    document.body.dataset.at = place;
  };
  const home = (place) => {
    page.close();
    at(place);
    find("title").textContent = say(place === "live" ? "live" : "files_title");
    document.title = "pitchai";
    if (place === "live") live.roll.resize();
    else files.refresh();
  };
  const show = () => at("song");
  find("listen").addEventListener("click", () => {
    location.hash = "live";
    live.start();
  });
  const route = async () => {
    const id = location.hash.slice(1);
    if (id !== "live") live.leave();
    if (!id || id === "live") return home(id || "files");
    if (!/^[0-9a-f]{16}$/.test(id)) return; // a place on the page
    // The sound of what was just listened to can be played before its notes have come.
    const known = files.results.find((result) => result.id === id && result.status === "done" && !/\.(json|midi?)$/i.test(result.name));
    let early = null;
    if (known) {
      show();
      const bare = { title: known.title, duration: known.duration, transcription: { notes: [], duration: known.duration } };
      page.open(bare, { ...serverSource(id, {}), save: null, score: null });
      early = page.player;
    }
    try {
      const view = await api.json(`/api/files/${id}`);
      if (location.hash.slice(1) !== id) return;
      show();
      drawExports(id);
      page.open(view, serverSource(id, view), view.has_sound === false ? null : early);
    } catch (error) {
      if (error.status === 409) files.opening = id; // it opens as soon as it is done
      else warn(error.message);
      location.hash = "";
    }
  };
  addEventListener("hashchange", route);
  find("undo").addEventListener("click", () => page.editing.undo());
  find("redo").addEventListener("click", () => page.editing.redo());
  route();
}

function start() {
  try { if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme; } catch { /* none */ }
  if (!find("song")) {
    const palette = new Palette();
    comparisons(palette);
    themes(() => palette.restyle());
    return;
  }
  const page = (window.page = new Page());
  themes(() => {
    page.palette?.restyle();
    page.live?.palette.restyle();
    page.live?.roll.surface.request();
  });
  menus();
  if (config.served) {
    document.body.dataset.served = "yes";
    return served(page);
  }
  document.body.dataset.at = "song";
  const source = fileSource();
  page.open(read("data"), source);
  if (source.score) return;
  for (const choice of document.querySelectorAll("input[name=view]")) choice.parentNode.hidden = /score|both|practice/.test(choice.value);
  page.view("roll");
}

start();
