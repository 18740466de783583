"""HTTP as the functions speak it: routes, schemas, paging, and what validation says."""
