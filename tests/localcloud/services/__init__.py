"""The account as a whole, and its smaller services: SES, SNS, pages for the developer."""
