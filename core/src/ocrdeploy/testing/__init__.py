"""The contract suite: what a backend or a model pack has to keep, as tests that run against any that is installed.

    pytest --pyargs ocrdeploy.testing --ocrd-backend=NAME
    pytest --pyargs ocrdeploy.testing --ocrd-models=NAME

It is part of the extra `ocrdeploy[testing]`. docs/contract-suite.md says what it looks at.
"""
