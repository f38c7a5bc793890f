/** The path from which a driver can be loaded as TypeORM loads it; undefined if it is not found. */
export function driverPath(name: 'pg' | 'mysql2' | 'better-sqlite3'): string | undefined {
  try {
    return require.resolve(name, { paths: [require.resolve('typeorm'), process.cwd()] })
  } catch {
    return undefined
  }
}

/** A driver loaded from that path; undefined if it is not found. */
export function loadDriver(name: Parameters<typeof driverPath>[0]): unknown {
  const path = driverPath(name)
  return path === undefined ? undefined : require(path)
}
