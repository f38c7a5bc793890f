import { expect } from 'chai'
import { curvesOf } from '../src/curves'
import { figuresOf } from '../src/figures'
import { selected } from '../src/options'
import { FULL } from '../src/sizes'
import { isBest } from '../src/measure/pairs'
import { switchesOf } from '../src/switches'
import { TARGETS } from '../src/targets'

const figures = figuresOf(FULL)

describe('targets', () => {
  it('name figures and turns that there are', () => {
    for (const { figure: name, of, against } of TARGETS) {
      const figure = figures.find((each) => each.name === name)
      expect(figure, name).to.exist
      const known = figure?.turns.flatMap(({ label }, index) => [label, index])
      const opponents = against ? (isBest(against) ? against.turns : [against.turn]) : []
      expect(known, name).to.include.members([of.turn, ...opponents])
    }
  })

  it('ask more of the goal than of the bar', () => {
    for (const { title, bar, goal, better } of TARGETS) {
      if (bar !== undefined) expect(better === 'more' ? goal >= bar : goal <= bar, title).to.be.true
    }
  })
})

describe('figures', () => {
  it('have names of their own', () => {
    const names = [...figures, ...curvesOf(FULL), ...switchesOf(FULL)].map(({ name }) => name)
    expect(new Set(names).size).to.equal(names.length)
  })

  it('are chosen by words and by store', () => {
    const names = (only: string[], store?: string) => selected(figures, { only, store }).map(({ name }) => name)
    expect(names(['drain', '50'], 'postgres')).to.deep.equal(['drain-50-postgres'])
    expect(names(['latency'])).to.deep.equal(['latency-redis', 'latency-postgres'])
    expect(names(['dra'])).to.deep.equal([])
  })
})
