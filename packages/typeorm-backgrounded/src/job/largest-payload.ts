/** What a job may bring along, in bytes. */
export const LARGEST_PAYLOAD = 4 * 1024 * 1024
