import { expect } from 'chai'
import { MessageReader } from '../../src/places/statement-counter'

describe('the statement counter', () => {
  const message = (type: string, body: string) => {
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeUInt32BE(4 + body.length, 1)
    return Buffer.concat([head, Buffer.from(body)])
  }
  // A body that looks like the end of a statement is not one.
  const stream = Buffer.concat([
    message('D', 'C\0\0\0\x04'),
    message('C', 'SELECT 1\0'),
    message('1', ''),
    message('Z', 'I'),
  ])

  it('reads the types of messages, wherever the chunks are cut', () => {
    for (let size = 1; size <= stream.length; size++) {
      const types: string[] = []
      const reader = new MessageReader((type) => types.push(String.fromCharCode(type)))
      for (let start = 0; start < stream.length; start += size) reader.read(stream.subarray(start, start + size))
      expect(types, `chunks of ${size}`).to.deep.equal(['D', 'C', '1', 'Z'])
    }
  })
})
