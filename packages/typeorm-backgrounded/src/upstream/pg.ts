import type { DataSource } from 'typeorm'

/** The `pg` that TypeORM has loaded for a data source: its driver keeps the module in a member that no documentation promises. */
interface Driver {
  readonly postgres?: { readonly Client?: { readonly prototype?: { readonly escapeLiteral?: unknown } } }
}

/**
 * A text as this data source's clients write it into a statement. Undefined where they have no such method, as those of
 * pg-native.
 */
export function literalsOf({ driver }: DataSource): ((value: string | null) => string) | undefined {
  const client = (driver as unknown as Driver).postgres?.Client?.prototype
  const escape = client?.escapeLiteral
  if (typeof escape !== 'function') return undefined
  return (value) => (value === null ? 'NULL' : (escape.call(client, value) as string))
}
