import { expect } from 'chai'
import { FAST_PATHS } from '../src/fast-paths'
import { sourceWithout } from '../src/sides/without'
import { FULL } from '../src/sizes'
import { switchesOf } from '../src/switches'

describe('fast paths', () => {
  for (const [name, fastPath] of Object.entries(FAST_PATHS)) {
    it(`can be turned off in the library as it is: ${name}`, () => {
      expect(sourceWithout(fastPath)).to.include(fastPath.replacement)
    })
  }

  it('are each measured by a figure', () => {
    const sides = switchesOf(FULL).flatMap(({ turns }) => turns.map(({ side }) => side))
    for (const name of Object.keys(FAST_PATHS)) {
      expect(
        sides.filter((side) => side.endsWith(`-without-${name}`)),
        name,
      ).not.to.be.empty
    }
  })
})
