package com.example.classifier;

import java.awt.image.BufferedImage;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Runs the guide's Java on pictures and files, and writes what it gives: see test_deploy.py. */
final class Check {
    public static void main(String[] given) throws Exception {
        for (int at = 2; at < given.length; at += 2) {
            BufferedImage image = ImageIO.read(new File(given[at]));
            int width = image.getWidth(), height = image.getHeight();
            int[] argb = image.getRGB(0, 0, width, height, null, 0, width);
            byte[] rgb = Pixels.centre(argb, width, height, Integer.parseInt(given[at + 1]));
            Files.write(Path.of(given[at] + given[at + 1]), rgb);
        }
        for (int at = 0; at < 2; at++) {
            Files.write(Path.of("names" + at), Labels.read(Files.readAllBytes(Path.of(given[at]))));
        }
    }
}
