"use strict";
// In and out: recordings dropped, chosen or recorded; the queue; the results that are there; every format by a button.

const api = {
  async ask(path, options = {}) {
    const answer = await fetch(path, { credentials: "same-origin", ...options });
    if (answer.ok) return answer;
    let message = "";
    try { message = (await answer.json()).error || ""; } catch { /* no JSON: the status says enough */ }
    const error = new Error(message || say("refused", { status: answer.status }));
    error.status = answer.status;
    throw error;
  },
  async json(path, options) { return (await this.ask(path, options)).json(); },
  post(path, value) {
    return this.json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
  },
};

class Files {
  // warn(text) says what went wrong.
  constructor(warn) {
    Object.assign(this, { warn, uploads: new Map(), results: [], number: 0 });
    const chooser = find("file");
    find("choose").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => { this.add(chooser.files); chooser.value = ""; });
    find("record").addEventListener("click", () => this.record());
    for (const kind of ["dragenter", "dragover"])
      document.addEventListener(kind, (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      this.add(event.dataTransfer.files);
    });
    this.refresh();
  }

  async add(files) {
    const chosen = [...files];
    if (!chosen.length) return;
    location.hash = "";
    for (const file of chosen) await this.upload(file, file.name);
  }

  async upload(body, name) {
    const number = ++this.number;
    this.uploads.set(number, { title: name, status: "uploading" });
    this.draw();
    try {
      const { id } = await api.json(`/api/files?name=${encodeURIComponent(name)}`, { method: "POST", body });
      this.uploads.delete(number);
      this.opening ??= id; // the first of what was dropped opens when it is done
    } catch (error) {
      this.uploads.set(number, { title: name, status: "failed", message: error.message });
      this.warn(error.message);
    }
    await this.refresh();
  }

  async record() {
    if (this.recorder) return this.recorder.stop();
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } }); }
    catch { return this.warn(say("no_microphone")); }
    const parts = [], recorder = (this.recorder = new MediaRecorder(stream)), since = Date.now();
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    const button = find("record"), timer = setInterval(() => { button.textContent = say("stop_recording", { time: clock((Date.now() - since) / 1000) }); }, 250);
    button.textContent = say("stop_recording", { time: "0:00" });
    button.dataset.recording = "yes";
    recorder.addEventListener("stop", () => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
      this.recorder = null;
      button.textContent = say("record");
      delete button.dataset.recording;
      const kind = recorder.mimeType.includes("ogg") ? "ogg" : recorder.mimeType.includes("mp4") ? "mp4" : "webm";
      const stamp = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
      this.upload(new Blob(parts, { type: recorder.mimeType }), `${say("recording_name", { date: stamp })}.${kind}`);
    });
    recorder.start(1000);
  }

  async refresh() {
    clearTimeout(this.timer);
    try {
      const answer = await api.ask("/api/results");
      this.results = await answer.json();
      find("folder").textContent = decodeURIComponent(answer.headers.get("X-Folder") || "");
    } catch (error) {
      this.warn(error.message);
      this.timer = setTimeout(() => this.refresh(), 3000);
      return;
    }
    const busy = this.results.filter((result) => result.status === "queued" || result.status === "running");
    // What the server was started with opens as soon as it is done.
    if (!this.refreshed && !location.hash.slice(1)) this.opening ??= busy[0]?.id;
    this.refreshed = true;
    await Promise.all(busy.map(async (result) => {
      try { Object.assign(result, await api.json(`/api/files/${result.id}/status`)); } catch { /* it was removed meanwhile */ }
    }));
    this.draw();
    const opening = this.results.find((result) => result.id === this.opening);
    if (opening && (opening.status === "done" || opening.status === "failed")) {
      this.opening = undefined;
      if (opening.status === "done" && !location.hash.slice(1)) location.hash = opening.id;
      else if (opening.status === "failed") this.warn(opening.message || say("failed"));
    }
    if (busy.length) this.timer = setTimeout(() => this.refresh(), 400);
  }

  draw() {
    const rows = [...this.uploads.values(), ...this.results];
    for (const bar of find("results").querySelectorAll("progress"))
      bar.value = rows.find((row) => row.id === bar.parentNode.dataset.id)?.progress || 0;
    // Rows that stay the same are left alone, with the focus on them.
    const state = JSON.stringify(rows.map((row) => ({ ...row, progress: 0 })));
    if (state === this.drawn) return;
    this.drawn = state;
    find("results-none").hidden = rows.length > 0;
    find("results").replaceChildren(...rows.map((result) => {
      const words = [say(result.status)];
      if (result.status === "done" && result.duration) words.unshift(clock(result.duration));
      if (result.message && result.status !== "done") words.push(result.message);
      const title = result.status === "done" ? make("a", { href: `#${result.id}` }, result.title) : make("span", {}, result.title);
      const item = make("li", { className: result.status }, make("span", { className: "name" }, title), make("span", { className: "status" }, words.join(" · ")));
      item.dataset.id = result.id || "";
      if (result.status === "running") item.append(make("progress", { max: 1, value: result.progress || 0, ariaLabel: say("progress_of", { title: result.title }) }));
      if (result.id) {
        const remove = make("button", { type: "button", ariaLabel: say("remove_result", { title: result.title }), title: say("remove") }, "✗");
        remove.addEventListener("click", () => this.remove(result, remove));
        item.append(remove);
      }
      return item;
    }));
  }

  // Removing asks for a second press: what is gone is gone.
  async remove(result, button) {
    if (!button.dataset.sure) {
      button.dataset.sure = "yes";
      button.textContent = say("really");
      button.ariaLabel = say("really_remove", { title: result.title });
      return;
    }
    try { await api.ask(`/api/files/${result.id}`, { method: "DELETE" }); } catch (error) { this.warn(error.message); }
    await this.refresh();
  }
}

// Every format by a button; the browser saves what the server writes.
function drawExports(id) {
  find("exports").replaceChildren(...config.formats.map((name) => {
    const button = make("button", { type: "button" }, say(`format_${name}`));
    button.dataset.format = name;
    button.addEventListener("click", async () => {
      button.disabled = true;
      tell(say("writing"));
      try {
        const answer = await api.ask(`/api/files/${id}/export/${name}`);
        const file = /filename\*=UTF-8''(.*)$/.exec(answer.headers.get("Content-Disposition") || "");
        const address = URL.createObjectURL(await answer.blob());
        make("a", { href: address, download: file ? decodeURIComponent(file[1]) : name }).click();
        setTimeout(() => URL.revokeObjectURL(address), 60_000);
        tell(say("written"));
      } catch (error) {
        warn(error.message);
      }
      button.disabled = false;
    });
    return make("li", {}, button);
  }));
}
