/** The path from which a heartbeat's thread can load the driver that TypeORM uses; undefined if it is not found. */
export function driverPath(name: 'pg' | 'mysql2'): string | undefined {
  try {
    return require.resolve(name, { paths: [require.resolve('typeorm'), process.cwd()] })
  } catch {
    return undefined
  }
}
