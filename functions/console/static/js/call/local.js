/** The driver for the local cloud's media server: an RTCPeerConnection, and JSON on a WebSocket (signalling/own.py). */

const GATHER_MS = 2000; // at most; candidates of this machine are there at once
const AGAIN_MS = [0, 500, 1000, 2000, 3000, 5000];
const GIVE_UP_MS = 60_000;

export class Driver extends EventTarget {
  #place = null;
  #tracks = {};
  #connection = null;
  #socket = null;
  #left = false;
  #tries = 0;
  #lostAt = null;

  async join({ meeting, attendee }, tracks) {
    this.#place = { url: meeting.MediaPlacement.SignalingUrl, token: attendee.JoinToken };
    for (const track of tracks) this.#tracks[track.kind] = track;
    this.#tell("connecting");
    addEventListener("pagehide", this.#goodbye);
    await this.#open();
  }

  async send(kind, track) {
    this.#tracks[kind] = track;
    await this.#connection?.getTransceivers().find((each) => each.receiver.track.kind === kind)?.sender.replaceTrack(track);
  }

  async received() {
    let packets = 0;
    for (const each of (await this.#connection?.getStats())?.values() ?? []) if (each.type === "inbound-rtp") packets += each.packetsReceived;
    return packets;
  }

  leave() {
    this.#goodbye();
    this.#close();
  }

  #goodbye = () => {
    this.#left = true;
    removeEventListener("pagehide", this.#goodbye);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type: "leave" }));
  };

  async #open() {
    const connection = (this.#connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    for (const kind of ["audio", "video"]) connection.addTransceiver(this.#tracks[kind] ?? kind, { direction: "sendrecv" });
    const receivers = connection.getTransceivers().map(({ receiver }) => receiver.track);
    this.dispatchEvent(new CustomEvent("stream", { detail: new MediaStream(receivers) }));
    connection.addEventListener("connectionstatechange", () => this.#changed(connection));
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    if (this.#left || connection !== this.#connection) return;
    const socket = (this.#socket = new WebSocket(this.#place.url, ["autodoctor-local", this.#place.token]));
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "join", sdp: connection.localDescription.sdp })));
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#heard(JSON.parse(data)));
    socket.addEventListener("close", () => socket === this.#socket && this.#lost());
  }

  async #heard(said) {
    if (said.type === "joined") await this.#connection.setRemoteDescription({ type: "answer", sdp: said.sdp });
    else if (said.type === "other") this.dispatchEvent(new CustomEvent("other", { detail: said }));
    else if (said.type === "end") this.#end({ ended: "over", elsewhere: "elsewhere" }[said.why] ?? "unreachable");
  }

  #changed(connection) {
    if (connection !== this.#connection) return;
    if (connection.connectionState === "failed") this.#lost();
    if (connection.connectionState !== "connected") return;
    [this.#tries, this.#lostAt] = [0, null];
    this.#tell("connected");
  }

  /** The connection broke off: another one follows, as the same attendee. */
  #lost() {
    if (this.#left) return;
    this.#lostAt ??= Date.now();
    this.#close();
    if (Date.now() - this.#lostAt > GIVE_UP_MS) {
      this.#end("unreachable");
      return;
    }
    this.#tell("lost");
    const pause = AGAIN_MS[Math.min(this.#tries, AGAIN_MS.length - 1)];
    this.#tries += 1;
    setTimeout(() => this.#left || this.#open(), pause);
  }

  #end(why) {
    this.#left = true;
    removeEventListener("pagehide", this.#goodbye);
    this.#close();
    this.#tell({ ended: why });
  }

  #close() {
    const [connection, socket] = [this.#connection, this.#socket];
    this.#connection = this.#socket = null;
    connection?.close();
    socket?.close();
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent("state", { detail }));
  }
}

/** Resolves when every way to reach this browser is known: the offer says them all. */
function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER_MS);
  });
}
