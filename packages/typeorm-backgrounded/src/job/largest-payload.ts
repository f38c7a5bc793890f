/** The most bytes that the arguments of a job may have. */
export const LARGEST_PAYLOAD = 4 * 1024 * 1024
