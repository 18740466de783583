"""HTTP as the functions speak it: routes, schemas, paging, and validation messages."""
