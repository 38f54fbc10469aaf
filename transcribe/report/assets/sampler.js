"use strict";
// Notes as sound: a small sampled piano, as transcribe/report/sonify.py plays it, strokes of drums, clicks of a metronome.

const DYNAMIC_RANGE = 36; // dB between velocities 1 and 127
const DAMPING = 0.08; // s to fall by 1/e after a release
const LAST_DAMPER = 88; // strings above ring on
const GAIN = 2; // the samples have an RMS of 0.06
const DRUM_SOUNDS = [[60, 0.25], [1800, 0.12], [7000, 0.06], [5000, 0.5], [300, 0.25]]; // Hz, s

class Sampler {
  // load(name) gives the bytes of a sample of assets.
  constructor(context, output, load) {
    Object.assign(this, { context, load, samples: new Map(), voices: new Set() });
    this.output = output;
  }

  async prepare() {
    this.ready ??= Promise.all(config.samples.map(async (name) => {
      const sound = await this.context.decodeAudioData(await this.load(name));
      this.samples.set(parseInt(name, 10), sound);
    }));
    return this.ready;
  }

  // Play a note from a moment of the context's clock on; part of it is over where it began before.
  strike({ pitch, velocity }, when, seconds, over = 0) {
    if (!this.samples.size) return;
    let nearest = null;
    for (const sampled of this.samples.keys())
      if (nearest === null || Math.abs(sampled - pitch) < Math.abs(nearest - pitch)) nearest = sampled;
    const source = new AudioBufferSourceNode(this.context, {
      buffer: this.samples.get(nearest), playbackRate: 2 ** ((pitch - nearest) / 12),
    });
    const loudness = GAIN * 10 ** ((DYNAMIC_RANGE * (velocity / 127 - 1)) / 20);
    const gain = new GainNode(this.context, { gain: loudness });
    source.connect(gain).connect(this.output);
    source.start(when, over * source.playbackRate.value);
    if (pitch <= LAST_DAMPER) {
      gain.gain.setTargetAtTime(0, when + seconds, DAMPING);
      source.stop(when + seconds + 6 * DAMPING);
    }
    this.keep(source, gain);
  }

  drum(row, velocity, when) {
    const [frequency, seconds] = DRUM_SOUNDS[row] || DRUM_SOUNDS[1];
    if (!this.noise) {
      this.noise = new AudioBuffer({ length: this.context.sampleRate, sampleRate: this.context.sampleRate });
      const samples = this.noise.getChannelData(0);
      for (let i = 0; i < samples.length; i++) samples[i] = Math.random() * 2 - 1;
    }
    const source = frequency < 100
      ? new OscillatorNode(this.context, { frequency })
      : new AudioBufferSourceNode(this.context, { buffer: this.noise });
    const filter = new BiquadFilterNode(this.context, { type: frequency < 1000 ? "lowpass" : "highpass", frequency: Math.max(frequency, 200) });
    this.fade(source, filter, 0.5 * (velocity / 127) ** 2, seconds, when);
  }

  click(when, strong) {
    const source = new OscillatorNode(this.context, { type: "square", frequency: strong ? 1600 : 1000 });
    this.fade(source, new BiquadFilterNode(this.context, { frequency: 4000 }), strong ? 0.25 : 0.15, 0.03, when, this.context.destination);
  }

  fade(source, filter, loudness, seconds, when, output = this.output) {
    const gain = new GainNode(this.context, { gain: loudness });
    gain.gain.setTargetAtTime(0, when + 0.005, seconds / 3);
    source.connect(filter).connect(gain).connect(output);
    source.start(when);
    source.stop(when + 2 * seconds);
    this.keep(source, gain);
  }

  keep(source, gain) {
    const voice = { source, gain };
    this.voices.add(voice);
    source.onended = () => { this.voices.delete(voice); gain.disconnect(); };
  }

  silence() {
    const now = this.context.currentTime;
    for (const { source, gain } of this.voices) {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setTargetAtTime(0, now, 0.01);
      source.stop(now + 0.06);
    }
    this.voices.clear();
  }
}
