"use strict";
// A recording some semitones higher or lower at its own speed: two delays that grow or shrink, each heard while the other
// begins anew. Nothing but plain nodes, so it works wherever a page may run.

const SHIFT_SECONDS = 0.1;

class Shifter {
  constructor(context) {
    const falling = this.shape(context, (x) => 1 - x), rising = this.shape(context, (x) => x);
    const window = this.shape(context, (x) => Math.sin(Math.PI * x) ** 2);
    const begin = context.currentTime + 0.02;
    this.input = new GainNode(context);
    this.output = new GainNode(context);
    this.depths = [];
    for (let half = 0; half < 2; half++) {
      const delay = new DelayNode(context, { maxDelayTime: 0.5 }), gain = new GainNode(context, { gain: 0 });
      const up = new GainNode(context, { gain: 0 }), down = new GainNode(context, { gain: 0 });
      for (const [buffer, target] of [[falling, up], [rising, down], [window, gain.gain]]) {
        const source = new AudioBufferSourceNode(context, { buffer, loop: true });
        source.connect(target);
        source.start(begin + (half * SHIFT_SECONDS) / 2);
      }
      up.connect(delay.delayTime);
      down.connect(delay.delayTime);
      this.input.connect(delay).connect(gain).connect(this.output);
      this.depths.push([up.gain, down.gain]);
    }
  }

  shape(context, value) {
    const length = Math.round(SHIFT_SECONDS * context.sampleRate);
    const buffer = new AudioBuffer({ length, sampleRate: context.sampleRate });
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < length; i++) samples[i] = value(i / length);
    return buffer;
  }

  set semitones(n) {
    const depth = Math.abs(2 ** (n / 12) - 1) * SHIFT_SECONDS;
    for (const [up, down] of this.depths) {
      up.value = n > 0 ? depth : 0;
      down.value = n < 0 ? depth : 0;
    }
  }
}
