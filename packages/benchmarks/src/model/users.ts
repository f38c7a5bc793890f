/** Rows of `bench_user`, on every database. */
export const USERS = 10_000

export function userOf(id: number): { id: number; name: string; email: string } {
  return { id, ...newUser(id) }
}

export function newUser(number: number): { name: string; email: string } {
  return { name: `User ${number}`, email: `user${number}@example.org` }
}

/** Jobs go round the users. */
export function userIdOf(job: number): number {
  return (job % USERS) + 1
}
