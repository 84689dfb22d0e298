"""What is wrong with this environment, or with one plugin: facts, and a finding with its remedy for each problem."""
