-- Sending dead letters again is something that admins do, and is written down like the rest of it.

ALTER TABLE admin_changes DROP CONSTRAINT admin_changes_kind_known;
ALTER TABLE admin_changes ADD CONSTRAINT admin_changes_kind_known CHECK (
  kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|dead_letter_queue\.redriven)$');
COMMENT ON COLUMN admin_changes.kind IS
  'What was added or changed, e.g. plan.changed. A dead_letter_queue.redriven is written before its letters are sent.';
COMMENT ON COLUMN admin_changes.before IS
  'What they were, without personal data; empty where it was added. Of a dead_letter_queue, how many letters it held.';
