import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { packageDirectory, repository } from './repository.mjs'

/** What depends on TypeORM, and must therefore find the copy's. */
const DEPENDENTS = ['typeorm-transactional', '@nestjs/typeorm']

/**
 * A copy of the built package and its tests in which `typeorm` is what the workspace knows as `alias`, in the tests'
 * child processes too. Everything that does not depend on TypeORM is a link.
 *
 * @returns the package's directory
 */
export function copyWorkspace(directory, alias) {
  rmSync(directory, { recursive: true, force: true })
  const packageCopy = join(directory, 'packages/typeorm-backgrounded')
  for (const name of ['build', 'dist', 'src', 'test', 'package.json', '.mocharc.json']) {
    cpSync(join(packageDirectory, name), join(packageCopy, name), { recursive: true })
  }
  for (const name of ['lerna.json', 'README.md', 'docs']) symlinkSync(join(repository, name), join(directory, name))

  const modules = join(repository, 'node_modules')
  const modulesCopy = join(directory, 'node_modules')
  const copies = new Map([['typeorm', alias], ...DEPENDENTS.map((name) => [name, name])])
  for (const name of packageNames(modules)) {
    const to = join(modulesCopy, name)
    mkdirSync(join(to, '..'), { recursive: true })
    if (name === 'typeorm-backgrounded') symlinkSync(packageCopy, to)
    else if (copies.has(name)) cpSync(join(modules, copies.get(name)), to, { recursive: true })
    else symlinkSync(join(modules, name), to)
  }
  return packageCopy
}

function packageNames(modules) {
  return readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
  )
}
