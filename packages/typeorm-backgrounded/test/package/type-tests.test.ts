import { expect } from 'chai'
import { Consumer } from './consumer'

/** What a user's compiler may be, and how it may look for modules. */
const compilers = [
  { compiler: 'typescript-5.4', version: '5.4', resolution: ['--module', 'node16', '--moduleResolution', 'node16'] },
  { compiler: 'typescript-5.4', version: '5.4', resolution: ['--module', 'commonjs', '--moduleResolution', 'node10'] },
  { compiler: 'typescript', version: '5.9', resolution: ['--module', 'nodenext', '--moduleResolution', 'nodenext'] },
  { compiler: 'typescript', version: '5.9', resolution: ['--module', 'preserve', '--moduleResolution', 'bundler'] },
  { compiler: 'typescript-7', version: '7', resolution: ['--module', 'nodenext', '--moduleResolution', 'nodenext'] },
  { compiler: 'typescript-7', version: '7', resolution: ['--module', 'preserve', '--moduleResolution', 'bundler'] },
]

describe('the types of the package', function () {
  this.timeout(120_000)
  let consumer: Consumer

  before(() => {
    consumer = new Consumer('types', 'types')
  })

  for (const { compiler, version, resolution } of compilers) {
    it(`accept and refuse what they should under TypeScript ${version} with ${resolution.at(-1)}`, async () => {
      const { code, output } = await consumer.compile(compiler, ...resolution)

      expect(output).to.equal('')
      expect(code).to.equal(0)
    })
  }

  const nodeTypes = { oldest: '@types/node', newest: 'types-node-newest' }
  for (const [age, alias] of Object.entries(nodeTypes)) {
    it(`need no skipLibCheck, with the ${age} @types/node`, async () => {
      const strict = new Consumer(`strict-${age}`, 'types')
      // The packages side by side, as a user has them: what is in the workspace finds the workspace's @types/node.
      strict.link('@types/node', alias)
      for (const name of ['typeorm', 'bull', 'ioredis', 'reflect-metadata', 'uuid']) strict.link(name, name)

      const { code, output } = await strict.compile('typescript', '--skipLibCheck', 'false', '--preserveSymlinks')

      expect(output).to.equal('')
      expect(code).to.equal(0)
    })
  }

  it('notice when a case that should be refused is accepted', async () => {
    const careless = new Consumer('careless', 'package/fixtures/careless')

    const { code, output } = await careless.compile('typescript')

    expect(output).to.include("TS2578: Unused '@ts-expect-error' directive")
    expect(code).not.to.equal(0)
  })
})
