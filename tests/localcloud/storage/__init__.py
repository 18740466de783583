"""Amazon S3 on this machine, and GuardDuty's malware scan of what is uploaded."""
