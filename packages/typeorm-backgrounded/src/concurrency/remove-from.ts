/**
 * Takes one member out of a short list. Lists hold what comes and goes with every job: a `Set` or a `Map` outgrows its
 * tables again and again, and those keep each other, and all that was in them, until the next full garbage collection.
 */
export function removeFrom<T>(list: T[], member: T): void {
  const index = list.indexOf(member)
  if (index < 0) return
  // By hand: `splice` makes a list of what it has removed, and `copyWithin` takes ten times as long.
  for (let next = index + 1; next < list.length; next++) list[next - 1] = list[next] as T
  list.pop()
}
