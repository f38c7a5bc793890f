import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run, runWell } from './commands.mjs'
import { packageDirectory, repository } from './repository.mjs'

/** The registry does not have it, or it does not compile on this machine. */
export class Unavailable extends Error {}

/** The tarball that would be published. */
export async function pack(directory) {
  await runWell('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: packageDirectory })
  return join(
    directory,
    readdirSync(directory).find((file) => file.endsWith('.tgz')),
  )
}

/**
 * The programs, compiled, with the lane's Node, the lane's versions and the tarball installed beside it.
 *
 * @returns its directory, the environment that finds the lane's Node, and what was installed
 * @throws Unavailable
 */
export async function installPrograms(lane, tarball, parent) {
  const env = await installNode(lane.node, join(parent, `node-${lane.name}`))
  const directory = join(parent, lane.name)
  cpSync(join(import.meta.dirname, 'programs'), directory, { recursive: true })
  const versions = Object.entries({ ...lane.packages, '@types/node': 'here' }).map(([name, version]) => [
    name,
    version === 'here' ? installedVersion(repository, name) : version,
  ])
  await install(directory, { ...Object.fromEntries(versions), 'typeorm-backgrounded': `file:${tarball}` }, env)
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  await runWell('node', [compiler, '--project', directory], { env })
  return { directory, env, versions: await describe(lane, directory, env) }
}

/** Node itself: npm has its binaries and headers as a package. */
async function installNode(version, directory) {
  const name = `node-${process.platform}-${process.arch}`
  await install(directory, { [name]: version })
  const home = join(directory, 'node_modules', name)
  return {
    ...process.env,
    PATH: join(home, 'bin') + delimiter + process.env.PATH,
    NODE_OPTIONS: '',
    npm_config_nodedir: home, // the headers that native code is compiled against
    CFLAGS: '-O0', // where SQLite has to be compiled: in 10 s instead of a minute
    CXXFLAGS: '-O0',
  }
}

async function install(directory, dependencies, env = process.env) {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, dependencies }))
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--prefer-offline', '--loglevel=error']
  const { code, output } = await run('npm', args, { cwd: directory, env })
  if (code !== 0) throw new Unavailable(output.trim())
}

async function describe({ packages }, directory, env) {
  const node = (await runWell('node', ['--version'], { env })).trim()
  const names = Object.keys(packages).filter((name) => name !== 'reflect-metadata')
  return [`Node ${node.slice(1)}`, ...names.map((name) => `${name} ${installedVersion(directory, name)}`)].join(', ')
}

function installedVersion(directory, name) {
  return JSON.parse(readFileSync(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version
}
