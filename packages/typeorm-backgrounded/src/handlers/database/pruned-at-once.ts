/** How many rows one statement removes at most, so that none takes long. */
export const PRUNED_AT_ONCE = 500
