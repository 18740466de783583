"""The description of the API: OpenAPI, AsyncAPI, and a page for every type of problem.

Before a deployment, openapi.py and asyncapi.py write two documents from routes and models; pages.py renders them as
HTML. Of this package, a function imports only pages.py (functions/docs), so the rest costs no cold start.
"""
