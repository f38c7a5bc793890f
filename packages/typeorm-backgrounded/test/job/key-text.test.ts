import { expect } from 'chai'
import { keyText } from '../../src/job/key-codec'
import { integerKind } from '../../src/job/key-kinds/numbers'

describe('a key', () => {
  it('of several columns has one text, in whatever order its columns stand', () => {
    expect(keyText({ a: 1, b: 'x' })).to.equal(keyText({ b: 'x', a: 1 }))
    expect(keyText({ a: 1, b: 'x' })).not.to.equal(keyText({ a: 'x', b: 1 }))
  })

  it('holds the integers that its column can hold, and no others', () => {
    const { read } = integerKind(127n)
    expect([-128, 127].map((number) => read(number)?.value)).to.deep.equal([-128, 127])
    expect([-129, 128].map((number) => read(number))).to.deep.equal([undefined, undefined])
  })
})
