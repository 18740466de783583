"""The description of the API: OpenAPI, AsyncAPI, and a page for every type of problem.

openapi.py and asyncapi.py write two documents from routes and models, before a deployment; pages.py draws them for
people. Only functions/docs imports anything of this, and only pages.py: the rest costs no cold start.
"""
