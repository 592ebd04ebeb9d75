"""From a survey to a bundle, stage by stage."""
