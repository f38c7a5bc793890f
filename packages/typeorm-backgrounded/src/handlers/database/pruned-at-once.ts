/** Rows that one statement removes, so that none takes long. */
export const PRUNED_AT_ONCE = 500
