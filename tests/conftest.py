pytest_plugins = ["tests.people", "tests.figures"]
