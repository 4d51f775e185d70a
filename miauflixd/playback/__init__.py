"""From a title to moving pictures with sound, on whatever the person holds."""
