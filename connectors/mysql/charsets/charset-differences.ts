/**
 * Where the servers' East Asian character sets differ from what the engine's decoders (and the rules of charset-multibyte.ts)
 * say. In hexadecimal, white space between: `a145:2022` is that character, `c6a5+83:3041` 83 of them on end, and `a1fe+2` two
 * that are none; counted in the order of the set's pairs of bytes.
 *
 * To make them again: empty one, run test/integration/mysql-charsets.test.ts, which names the sequences that differ, and give
 * the new table's digest in charset-multibyte.ts.
 */
export const differences = {
  sjis: '815f:005c 8160:301c 8161:2016 817c:2212 8191+2:00a2 81ca:00ac 8740+30 875f+23 877e+30 ed40+360 eeef+14 f040+2268',
  ujis: 'a1c0:005c a1c1:301c a1c2:2016 a1dd:2212 a1f1+2:00a2 a2cc:00ac ada1+30 adc0+23 addf+30',
  ujisSupplement: 'a2b7:007e f3a1+20 f3b7',
  eucjpmsSupplement: `
    a2c3:ffe4 f3a1+20 f3b7 f3f3+10:2170 f3fd+10:2160 f4a9:ff07 f4aa:ff02 f4ab:3231 f4ac:2116 f4ad:2121 f4ae:70bb f4af:4efc
    f4b0:50f4 f4b1:51ec f4b2:5307 f4b3:5324 f4b4:fa0e f4b5:548a f4b6:5759 f4b7+2:fa0f f4b9:589e f4ba:5bec f4bb:5cf5
    f4bc:5d53 f4bd:fa11 f4be:5fb7 f4bf:6085 f4c0:6120 f4c1:654e f4c2:663b f4c3:6665 f4c4:fa12 f4c5:f929 f4c6:6801
    f4c7+2:fa13 f4c9:6a6b f4ca:6ae2 f4cb:6df8 f4cc:6df2 f4cd:7028 f4ce+2:fa15 f4d0:7501 f4d1:7682 f4d2:769e f4d3:fa17
    f4d4:7930 f4d5+4:fa18 f4d9:7ae7 f4da+2:fa1c f4dc:7da0 f4dd:7dd6 f4de:fa1e f4df:8362 f4e0:fa1f f4e1:85b0 f4e2+2:fa20
    f4e4:8807 f4e5:fa22 f4e6:8b7f f4e7:8cf4 f4e8:8d76 f4e9+3:fa23 f4ec:90de f4ed:fa26 f4ee:9115 f4ef+2:fa27 f4f1:9592
    f4f2:f9dc f4f3:fa29 f4f4:973b f4f5:974d f4f6:9751 f4f7+3:fa2a f4fa:999e f4fb:9ad9 f4fc:9b72 f4fd:fa2d f4fe:9ed1
  `,
  euckr: 'a2e6:20ac a2e7:00ae c9a1+94 fea1+94',
  gbk: `
    a140+96 a240+96 a2ab+6 a2e3+2 a2ef+2 a2fd+98 a440+96 a4f4+107 a5f7+104 a6b9+8 a6d9+7 a6ec+2 a6f3 a6f6+105 a7c2+15
    a7f2+13 a896+11 a8bc a8bf a8c1+4 a8ea+21 a958 a95b a95d+3 a989+13 a997+13 a9f0+15 aaa1+94 aba1+94 aca1+94 ada1+94
    aea1+94 afa1+94 d7fa+5 f8a1+94 f9a1+94 faa1+94 fba1+94 fca1+94 fda1+94 fe50+174
  `,
  gb2312: `
    a1a4:30fb a1aa:2015 a2a1+16 a2e3+2 a2ef+2 a2fd+2 a4f4+11 a5f7+8 a6b9+8 a6d9+38 a7c2+15 a7f2+13 a8bb+10 a8ea+24
    a9f0+579 d7fa+5
  `,
  gb18030: 'a3a0:e5e5 a6d9+7:e78d a6ec+2:e794 a6f3:e796 fe59:e81e fe61:e826 fe66+2:e82b fe6d:e832 fe7e:e843 fe90:e854 fea0:e864',
  big5: `
    a145:2022 a14e:ff64 a15a a1c2:203e a1c3 a1c5 a1e3:223c a1f2:2641 a1f3:2609 a1fe+2 a241:ff0f a242:ff3c a244:00a5
    a246+2:00a2 a2cc a2ce a3e1 c6a1:30fe c6a2+2:309d c6a4:3005 c6a5+83:3041 c6f8+86:30a1 c7b1+2:0414 c7b3:0401 c7b4+7:0416
    c7bb+19:0423 c7ce:0451 c7cf+26:0436 c7e9+10:2460 c7f3+10:2474 c7fd+159 f9dd+34
  `,
} as const;
