/**
 * Removes one member from a short list. Members that come and go with every job are kept in lists, because a `Set` or a
 * `Map` replaces its inner table again and again, and the old tables keep all that was in them alive until the next full
 * garbage collection.
 */
export function removeFrom<T>(list: T[], member: T): void {
  const index = list.indexOf(member)
  if (index < 0) return
  // A loop, because `splice` makes a list of the removed members, and `copyWithin` takes ten times as long.
  for (let next = index + 1; next < list.length; next++) list[next - 1] = list[next] as T
  list.pop()
}
