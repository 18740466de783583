/** What chime.js takes of Amazon's own client; what nobody asks for is left out of the bundle as far as it can be. */

export { DefaultDeviceController, DefaultMeetingSession, MeetingSessionConfiguration, MeetingSessionStatusCode, NoOpLogger } from "amazon-chime-sdk-js";
