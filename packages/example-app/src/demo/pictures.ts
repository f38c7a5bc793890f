import sharp from 'sharp'

/** Real pictures, in three formats: wide, tall, square and blurred. */
export async function paintPictures() {
  const lake = sharp(scene(1200, 800, '#fda085', '#22577a', '<circle cx="600" cy="360" r="110" fill="#fff3b0"/>'))
  const tower = sharp(scene(900, 1500, '#89f7fe', '#3a7d44', '<rect x="360" y="300" width="180" height="900"/>'))
  const tulip = sharp(scene(1000, 1000, '#fbc2eb', '#6a994e', '<circle cx="500" cy="550" r="200" fill="#d62839"/>'))
  return {
    lake: { title: 'IMG_0001', image: await lake.png().toBuffer() },
    tower: { title: 'The old tower', image: await tower.jpeg().toBuffer() },
    tulip: { title: 'A tulip', image: await tulip.webp().toBuffer() },
    blurred: { title: 'IMG_0004', image: await tulip.clone().blur(40).webp().toBuffer() },
  }
}

function scene(width: number, height: number, sky: string, ground: string, subject: string): Buffer {
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <linearGradient id="sky" x2="0" y2="1">
      <stop offset="0.3" stop-color="${sky}"/>
      <stop offset="1" stop-color="${ground}"/>
    </linearGradient>
    <rect width="100%" height="100%" fill="url(#sky)"/>
    ${subject}
  </svg>`)
}
