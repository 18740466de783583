"""The account as a whole, its smaller services (SES, SNS, Web Push), and what has happened in it."""
