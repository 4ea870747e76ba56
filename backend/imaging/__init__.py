"""Files to arrays: pictures, instance maps, depth, background removal, and all of them joined to a shot."""
