/** The driver for Amazon Chime SDK meetings: their own client does the work (layers/chime). */

import { DefaultDeviceController, DefaultMeetingSession, MeetingSessionConfiguration, MeetingSessionStatusCode as Code, NoOpLogger } from "./chime-sdk.js";

const ENDED = {
  [Code.MeetingEnded]: "over",
  [Code.AudioAttendeeRemoved]: "over",
  [Code.TURNCredentialsForbidden]: "over",
  [Code.AudioJoinedFromAnotherDevice]: "elsewhere",
};

export class Driver extends EventTarget {
  #session = null;
  #self = null; // as Chime knows this person, on whichever device
  #attendeeId = null; // this device
  #unread = null; // entries of the first roster: who is on it was here before
  #others = new Set(); // attendees who are there
  #picture = null; // the other's: {tileId, stream}
  #tracks = {};
  #connected = false;
  #left = false;
  #seen = 0; // packets of this connection
  #received = 0;

  async join({ meeting, attendee }, tracks) {
    [this.#self, this.#attendeeId] = [attendee.ExternalUserId, attendee.AttendeeId];
    const configuration = new MeetingSessionConfiguration(meeting, attendee);
    configuration.urls.eventIngestionURL = null; // nothing about this browser goes to anybody
    const logger = new NoOpLogger();
    this.#session = new DefaultMeetingSession(configuration, logger, new DefaultDeviceController(logger));
    this.#av.addObserver({
      audioVideoDidStartConnecting: (again) => this.#connecting(again),
      audioVideoDidStart: () => this.#started(),
      audioVideoDidStop: (status) => this.#stopped(status.statusCode()),
      videoTileDidUpdate: (tile) => this.#shown(tile),
      videoTileWasRemoved: (tileId) => tileId === this.#picture?.tileId && this.#shows(null),
      metricsDidReceive: (report) => this.#count(report.getRTCStatsReport()),
    });
    this.#av.realtimeSubscribeToAttendeeIdPresence((id, present, person, _dropped, { attendeesInFrame }) => this.#came(id, present, person, attendeesInFrame));
    addEventListener("pagehide", this.#goodbye);
    for (const track of tracks) await this.send(track.kind, track);
    if (!this.#left) this.#av.start();
  }

  async send(kind, track) {
    this.#tracks[kind] = track;
    const stream = track && new MediaStream([track]);
    if (kind === "audio") await (track ? this.#av.startAudioInput(stream) : this.#av.stopAudioInput());
    else if (track) await this.#av.startVideoInput(stream);
    else await this.#av.stopVideoInput(); // and its tile with it
    if (kind === "video" && track && this.#connected && !this.#av.hasStartedLocalVideoTile()) this.#av.startLocalVideoTile();
  }

  async received() {
    return this.#received;
  }

  leave() {
    this.#goodbye();
  }

  get #av() {
    return this.#session.audioVideo;
  }

  #goodbye = () => {
    if (this.#left) return;
    this.#left = true;
    removeEventListener("pagehide", this.#goodbye);
    this.#av.stop();
  };

  #connecting(again) {
    this.#unread = null;
    this.#tell(again ? "lost" : "connecting");
  }

  #started() {
    if (this.#left) return;
    this.#connected = true;
    this.#seen = 0;
    if (this.#tracks.video && !this.#av.hasStartedLocalVideoTile()) this.#av.startLocalVideoTile();
    this.#streams();
    this.#tell("connected");
  }

  #stopped(code) {
    this.#connected = false;
    const left = this.#left;
    this.#left = true;
    removeEventListener("pagehide", this.#goodbye);
    this.#session.deviceController.destroy(); // not the session itself: it still tells itself how it ended
    if (!left) this.#tell({ ended: ENDED[code] ?? "unreachable" });
  }

  #came(id, present, person, entries) {
    this.#unread ??= entries;
    const wasHere = this.#unread > 0;
    if (wasHere) this.#unread -= 1;
    if (person === this.#self) {
      if (present && !wasHere && id !== this.#attendeeId) this.#overtaken();
      return;
    }
    if (present) this.#others.add(id);
    else this.#others.delete(id);
    this.#other();
  }

  /** Another device of this person joined, as an attendee of its own: one talks at a time. */
  #overtaken() {
    this.#goodbye();
    this.#tell({ ended: "elsewhere" });
  }

  #shown({ localTile, tileId, boundVideoStream, boundExternalUserId, paused }) {
    if (localTile || boundExternalUserId === this.#self || this.#left) return;
    if (boundVideoStream && !paused) this.#shows({ tileId, stream: boundVideoStream });
    else if (tileId === this.#picture?.tileId) this.#shows(null);
  }

  #shows(picture) {
    if (this.#left) return;
    const changed = picture?.stream !== this.#picture?.stream;
    this.#picture = picture;
    if (changed) this.#streams();
    this.#other();
  }

  #other() {
    this.dispatchEvent(new CustomEvent("other", { detail: { here: this.#others.size > 0, video: Boolean(this.#picture) } }));
  }

  /** What there is of the other: Chime sends the meeting's sound and each picture as streams of their own. */
  async #streams() {
    const sound = await this.#av.getCurrentMeetingAudioStream();
    if (this.#left) return;
    const tracks = [...(sound?.getTracks() ?? []), ...(this.#picture?.stream.getTracks() ?? [])];
    this.dispatchEvent(new CustomEvent("stream", { detail: new MediaStream(tracks) }));
  }

  /** The sound comes mixed, also while nobody else is there: only what comes while somebody is, is of the other. */
  #count(report) {
    let packets = 0;
    for (const each of report.values()) if (each.type === "inbound-rtp") packets += each.packetsReceived;
    if (this.#others.size > 0) this.#received += Math.max(0, packets - this.#seen);
    this.#seen = packets;
  }

  #tell(detail) {
    if (!this.#left || detail.ended) this.dispatchEvent(new CustomEvent("state", { detail }));
  }
}
