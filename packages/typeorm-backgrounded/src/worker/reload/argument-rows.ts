import type { ObjectLiteral } from 'typeorm'
import type { StoredReference } from '../../job/arguments/stored-reference'

/** How many rows are loaded at a time, so that one that is gone is found before all others are looked for. */
const GROUP = 500

/**
 * The rows among a job's arguments, by pointer. Each distinct one is loaded once, and all references to it are one
 * object, as they were for the caller who passed one.
 * @throws what `load` throws of the first that cannot be loaded
 */
export async function argumentRows(
  references: ReadonlyMap<string, StoredReference>,
  load: (reference: StoredReference, pointer: string) => Promise<ObjectLiteral>,
): Promise<Map<string, ObjectLiteral>> {
  const distinct = new Map<string, { reference: StoredReference; pointers: string[] }>()
  for (const [pointer, reference] of references) {
    const id = identityOf(reference) ?? pointer
    const known = distinct.get(id)
    if (known) known.pointers.push(pointer)
    else distinct.set(id, { reference, pointers: [pointer] })
  }
  const rows = new Map<string, ObjectLiteral>()
  const waiting = [...distinct.values()]
  while (waiting.length > 0) {
    await Promise.all(
      waiting.splice(0, GROUP).map(async ({ reference, pointers }) => {
        const row = await load(reference, pointers[0] as string)
        for (const pointer of pointers) rows.set(pointer, row)
      }),
    )
  }
  return rows
}

/** Nothing for a key that anybody but this library wrote: the loader says what is wrong with it. */
function identityOf({ entity, key }: StoredReference): string | undefined {
  const parts = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))
  return parts.some(([, value]) => typeof value === 'object') ? undefined : JSON.stringify([entity, parts])
}
