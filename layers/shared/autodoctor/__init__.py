"""Everything the Lambda functions share: rules, use cases, database, HTTP."""
