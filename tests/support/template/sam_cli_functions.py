"""Run by the SAM CLI's own Python: prints each function as `sam local invoke` would start it, as JSON.

Arguments: the template, and the file for `--env-vars`.
"""

import json
import logging
import sys
from pathlib import Path

from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

logging.disable(logging.ERROR)
template, variables = sys.argv[1:]
stacks, _ = SamLocalStackProvider.get_stacks(template, language_extensions_enabled=True)
provider = SamFunctionProvider(stacks)
given = json.loads(Path(variables).read_text(encoding="utf-8"))
runner = LocalLambdaRunner(
    None, provider, str(Path(template).parent), str(Path(template).parent), env_vars_values=given
)
print(
    json.dumps(
        {
            function.name: {
                "layers": [layer.arn for layer in function.layers],
                "code": function.codeuri,
                "handler": function.handler,
                "environment": runner._make_env_vars(function).resolve(),  # noqa: SLF001 (what `invoke` calls)
            }
            for function in provider.get_all()
        }
    )
)
