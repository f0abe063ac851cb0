import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def convert(tmp_path_factory):
    """The stock converter: float Keras model -> bytes of a .tflite file."""

    def convert(model, **options):
        folder = str(tmp_path_factory.mktemp("saved_model"))
        model.export(folder, verbose=False, **options)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()

    return convert
