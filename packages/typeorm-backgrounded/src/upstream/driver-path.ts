/** Where a heartbeat's thread finds the driver that TypeORM uses; nothing if it cannot be told. */
export function driverPath(name: 'pg' | 'mysql2'): string | undefined {
  try {
    return require.resolve(name, { paths: [require.resolve('typeorm'), process.cwd()] })
  } catch {
    return undefined
  }
}
